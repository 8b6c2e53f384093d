-- Questions of several callers, each of several hits that are one decision: everything is read, and then all of them are
-- charged, or none is.
local function decide(hits)
  local all_fit, entries = try_hits(hits)
  for _, entry in pairs(entries) do
    if all_fit and entry.is_charged then
      entry.packed = pack(entry.known)
      put(entry.key, entry.known, entry.packed)
    elseif entry.is_rewound and entry.before then
      put(entry.key, entry.before, entry.packed)
    end
  end
  return tell(hits, entries)
end

return answer_each(decide)
