-- For tests: the time is the last argument. Since Redis goes by its own, everything is kept for an hour of that.
local now = tonumber(ARGV[#ARGV])
local QUESTIONS = #ARGV - 1

local function dropped_at(_)
  return tonumber(redis.call('TIME')[1]) * 1000 + 3600000
end
