-- GCRA as people write it by hand: one number, floats, and no answer but whether it is admitted and the wait.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local wait = tat + interval - burst - now
if wait > 0 then
  return { 0, tostring(wait) }
end
redis.call('SET', KEYS[1], string.format('%.6f', tat + interval), 'EX', math.ceil(tat + interval - now))
return { 1, '0' }
