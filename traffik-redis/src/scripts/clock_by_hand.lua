-- For tests. The time is the last argument. Redis expires keys by its own clock, so they are kept for an hour of that
-- clock.
local now = tonumber(ARGV[#ARGV])
local QUESTIONS = #ARGV - 1

local function dropped_at(_)
  return tonumber(redis.call('TIME')[1]) * 1000 + 3600000
end
