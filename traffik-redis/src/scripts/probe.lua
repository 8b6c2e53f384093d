-- Runs every command that scripts use once, to find missing permissions when connecting.
local now = redis.call('TIME')
redis.call('GET', KEYS[1])
redis.call('GETRANGE', KEYS[1], 0, 0)
-- If one of the next commands is forbidden, this key expires by itself.
redis.call('SET', KEYS[1], '', 'PXAT', now[1] * 1000 + 2000)
redis.call('SETRANGE', KEYS[1], 0, '-')
redis.call('PEXPIREAT', KEYS[1], 1)
-- The commands for settings. The key is removed immediately.
redis.call('HGET', KEYS[1], '')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], '')
redis.call('HINCRBY', KEYS[1], '', 1)
redis.call('PEXPIREAT', KEYS[1], 1)
redis.call('HSET', KEYS[1], '', 1)
redis.call('PEXPIREAT', KEYS[1], 1)
return now[1]
