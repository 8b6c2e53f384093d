-- The settings of a namespace: a hash of the settings by name, and of their version under an empty name. To read them if they
-- have another version: 'read' and the known version. To replace one: 'replace', its name, the value that it has to have, and
-- the new one, each after a '=', or nothing where there is no value.
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
    redis.call('HINCRBY', key, '', 1)
    version = redis.call('HGET', key, '')
    if ARGV[4] == '' then
      redis.call('HDEL', key, argument)
    else
      redis.call('HSET', key, argument, string.sub(ARGV[4], 2))
    end
  end
end
return { version, is_replaced, redis.call('HGETALL', key) }
