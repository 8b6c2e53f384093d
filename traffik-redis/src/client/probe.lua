-- What every program does, once: so that it is known when connecting whether the user may.
local now = redis.call('TIME')
redis.call('GET', KEYS[1])
-- It has expired already, and so nothing stays of it.
redis.call('SET', KEYS[1], '', 'PXAT', 1)
return now[1]
