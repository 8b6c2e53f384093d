-- Gives back what was charged, as far as it still counts: all of it, or nothing if something cannot be read. ARGV[2] holds when
-- each hit was.
local at, entries = 1, {}
local hits = read_hits(ARGV[1], 0)
for _, hit in ipairs(hits) do
  local charged_at
  charged_at, at = struct.unpack('<I7', ARGV[2], at)
  local entry = entries[hit.entry]
  if not entry then
    entry = read_entry(KEYS[hit.entry], hit.strategy)
    entries[hit.entry] = entry
  end
  if entry.known then
    local refunded = hit.strategy.refund(entry.known, hit.cost, charged_at)
    if refunded or entry.is_rewound then
      entry.known = refunded or entry.known
      settle(entry, entry.known)
    end
  end
end
store(entries)
return { now, 1 }
