-- Gives back what was charged, as far as it still counts. ARGV[2] holds when each hit was.
local at = 1
local hits = read_hits(ARGV[1], 0)
for _, hit in ipairs(hits) do
  local charged_at
  charged_at, at = struct.unpack('<I7', ARGV[2], at)
  local key = KEYS[hit.entry]
  local packed = redis.call('GET', key)
  if packed then
    local refunded = hit.strategy.refund(unpack_state(packed), hit.cost, charged_at)
    if refunded then
      put(key, refunded, pack(refunded))
    end
  end
end
return { now, 1 }
