-- The server's clock, read once: one clock for every process, in whole microseconds.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- Every argument is a question, but for those of a refund.
local QUESTIONS = #ARGV

-- The millisecond after which Redis drops what expires at a time: never too early. There is no millisecond 0.
local function dropped_at(expires)
  return math.max(1, math.ceil(expires / 1000))
end
