-- What is stored of a client: a version, the time from which it says nothing any more, two integers that mean what the
-- strategy says, and the limit and the period that it was written under. 34 bytes.
local STATE, VERSION = '<BI7I7I7I6I6', 1

local function pack(state)
  return struct.pack(STATE, VERSION, state.expires, state.first, state.second, state.limit, state.period)
end

-- A state that is written under the rate of something that has one: a hit, or another state.
local function new_state(expires, first, second, rate)
  return { expires = expires, first = first, second = second, limit = rate.limit, period = rate.period }
end

local function check_version(packed, version)
  if string.byte(packed) ~= version then
    error('traffik: a state of version ' .. tostring(string.byte(packed)) .. ', of which this version knows nothing')
  end
end

local function unpack_state(packed)
  check_version(packed, VERSION)
  local _, expires, first, second, limit, period = struct.unpack(STATE, packed)
  return { expires = expires, first = first, second = second, limit = limit, period = period }
end

-- What has expired already, as after a refund, is dropped by Redis at once.
local function put(key, state, packed)
  redis.call('SET', key, packed, 'PXAT', dropped_at(state.expires))
end

-- The strategies of this program, by number.
local STRATEGIES = {}
