-- Questions of several callers, each of several hits that are one decision: everything is read, and then all of them are
-- charged, or none is.
local function decide(hits)
  local all_fit, entries = try_hits(hits)
  for _, entry in pairs(entries) do
    if all_fit and entry.is_charged then
      settle(entry, entry.known)
    elseif entry.is_rewound and entry.before then
      settle(entry, entry.before)
    end
  end
  local answer = tell(hits, entries)
  store(entries)
  return answer
end

return answer_each(decide)
