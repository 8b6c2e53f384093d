-- Replaces charged costs by actual ones: each by itself, or none if something cannot be read. ARGV[2] holds the time and the
-- actual cost of each. The answer to each is what is stored, or the number of an error.
local at, entries, adjusted = 1, {}, { now }
local hits = read_hits(ARGV[1], 0)
for i, hit in ipairs(hits) do
  local charged_at, actual
  charged_at, actual, at = struct.unpack('<I7I6', ARGV[2], at)
  local entry = entries[hit.entry]
  if not entry then
    entry = read_entry(KEYS[hit.entry], hit.strategy)
    entries[hit.entry] = entry
  end
  local settled, failed
  if actual < hit.cost then
    settled = entry.known and hit.strategy.refund(entry.known, hit.cost - actual, charged_at)
  elseif actual > hit.cost then
    hit.cost = actual - hit.cost
    settled = hit.strategy.charge(entry.known, hit)
  end
  if settled or entry.is_rewound then
    entry.known = settled or entry.known
    settle(entry, entry.known)
  end
  local told = ''
  if entry.told and entry.told.expires > now then
    told = hit.strategy.tell and hit.strategy.tell(entry.told, hit, actual) or entry.packed
  end
  adjusted[i + 1] = failed or told
end
store(entries)
return adjusted
