-- The time of the server, read once per call and shared by all processes, in whole microseconds.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- The number of questions. Every argument is a question, except for refunds and renewals.
local QUESTIONS = #ARGV

-- Returns the millisecond at which Redis drops an entry: never before it expires. At least 1, because Redis rejects 0.
local function dropped_at(expires)
  return math.max(1, math.ceil(expires / 1000))
end
