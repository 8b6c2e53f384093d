-- Decides the questions of several callers. The hits of a question are one decision: the script reads all entries, then
-- charges all hits or none.
local function decide(hits)
  local all_fit, entries, extra = try_hits(hits)
  for _, entry in pairs(entries) do
    if all_fit and entry.is_charged then
      settle(entry, entry.known)
    elseif entry.is_rewound and entry.before then
      settle(entry, entry.before)
    end
  end
  local answer = show(hits, entries, extra)
  store(entries)
  return answer
end

return answer_each(decide)
