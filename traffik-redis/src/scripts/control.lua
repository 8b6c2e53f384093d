-- Reads or replaces the settings of a namespace. The settings are a hash by name, and their version has an empty name.
--
-- The version of a change is the time of the server in microseconds, or one more than the version before. A counter would
-- repeat versions after the server lost data, and a process that knows such a version would miss the new settings.
--
-- 'read' has the version that the caller knows, and returns the settings if the version has changed. 'replace' has a
-- name, the expected value and the new value. A value starts with '=', and is empty if there is none.
local key, operation, argument = KEYS[1], ARGV[1], ARGV[2]
local version, is_replaced = redis.call('HGET', key, '') or '0', 0
if operation == 'read' then
  if version == argument then
    return { version, 0 }
  end
else
  local stored = redis.call('HGET', key, argument)
  if (stored and '=' .. stored or '') == ARGV[3] then
    is_replaced = 1
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    redis.call('HINCRBY', key, '', string.format('%.0f', math.max(1, now - version)))
    version = redis.call('HGET', key, '')
    if ARGV[4] == '' then
      redis.call('HDEL', key, argument)
    else
      redis.call('HSET', key, argument, string.sub(ARGV[4], 2))
    end
  end
end
return { version, is_replaced, redis.call('HGETALL', key) }
