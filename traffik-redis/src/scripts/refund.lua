-- Gives back what was charged, as far as it still counts. ARGV[2] holds when each hit was.
local at = 1
for hit in each_hit() do
  local charged_at
  charged_at, at = struct.unpack('<I7', ARGV[2], at)
  local key = KEYS[hit.entry]
  local state = unpack_state(redis.call('GET', key))
  local refunded = state and hit.strategy.refund(state, hit.cost, charged_at)
  if refunded then
    refunded.limit, refunded.period = state.limit, state.period
    put(key, refunded, pack(refunded))
  end
end
return now
