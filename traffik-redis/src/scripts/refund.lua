-- Gives back what was charged, as far as it still counts. ARGV[2] holds when each hit was.
local at = 1
local hits = read_hits(ARGV[1], 0)
for _, hit in ipairs(hits) do
  local charged_at
  charged_at, at = struct.unpack('<I7', ARGV[2], at)
  local entry = read_entry(KEYS[hit.entry], hit.strategy)
  if entry.known then
    local refunded = hit.strategy.refund(entry.known, hit.cost, charged_at)
    if refunded or entry.is_rewound then
      settle(entry, refunded or entry.known)
      store({ entry })
    end
  end
end
return { now, 1 }
