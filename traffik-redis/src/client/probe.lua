-- What programs do, once: so that it is known when connecting whether the user may.
local now = redis.call('TIME')
redis.call('GET', KEYS[1])
redis.call('GETRANGE', KEYS[1], 0, 0)
-- Should one of the next be forbidden, this goes by itself.
redis.call('SET', KEYS[1], '', 'PXAT', now[1] * 1000 + 2000)
redis.call('SETRANGE', KEYS[1], 0, '-')
redis.call('PEXPIREAT', KEYS[1], 1)
-- What settings take. The key is gone again at once.
redis.call('HGET', KEYS[1], '')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], '')
redis.call('HINCRBY', KEYS[1], '', 1)
redis.call('PEXPIREAT', KEYS[1], 1)
redis.call('HSET', KEYS[1], '', 1)
redis.call('PEXPIREAT', KEYS[1], 1)
return now[1]
