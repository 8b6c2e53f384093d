-- Stores what was decided elsewhere, if everything that this was decided about still is as it was: all of it, or nothing.
-- ARGV holds for each key what has to be there (nothing is empty), what is to be there instead (empty: it stays), and when
-- that expires. Where something changed the answer is how everything is now.
local answer, is_same = { now }, true
for i, key in ipairs(KEYS) do
  local stored = redis.call('GET', key) or ''
  answer[i + 1] = stored
  is_same = is_same and stored == ARGV[3 * i - 2]
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
