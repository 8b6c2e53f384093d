-- Compares and swaps: stores the new states of a decision if no state that it read has changed. Stores all of them, or
-- none. ARGV has three values per key: the expected state (empty if there is none), the new state (empty to keep the
-- old one), and the new expiry. If a state has changed, the answer is the time and the current states.
local answer, is_same = { now }, true
for i, key in ipairs(KEYS) do
  local stored = redis.call('GET', key)
  answer[i + 1] = stored
  is_same = is_same and (stored or '') == ARGV[3 * i - 2]
end
if not is_same then
  return answer
end
for i, key in ipairs(KEYS) do
  local packed = ARGV[3 * i - 1]
  if packed ~= '' then
    redis.call('SET', key, packed, 'PXAT', dropped_at(tonumber(ARGV[3 * i])))
  end
end
return 1
