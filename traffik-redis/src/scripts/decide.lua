-- Several hits as one decision: everything was read, and now all of them are charged, or none is.
local all_fit, hits, entries = try_hits()
for _, entry in pairs(entries) do
  if all_fit and entry.is_charged then
    entry.packed = pack(entry.known)
    put(entry.key, entry.known, entry.packed)
  elseif entry.is_rewound and entry.before then
    put(entry.key, entry.before, entry.packed)
  end
end
return tell(hits, entries)
