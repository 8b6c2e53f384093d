-- What is stored of a client: a version, the time from which it says nothing any more, two integers that mean what the
-- strategy says, and the limit and the period that it was written under. 34 bytes.
local STATE, VERSION = '<BI7I7I7I6I6', 1
local call, to_bytes, from_bytes = redis.call, struct.pack, struct.unpack

local function pack(state)
  return to_bytes(STATE, VERSION, state.expires, state.first, state.second, state.limit, state.period)
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
  local _, expires, first, second, limit, period = from_bytes(STATE, packed)
  return { expires = expires, first = first, second = second, limit = limit, period = period }
end

-- What has expired already, as after a refund, is dropped by Redis at once. A state that replaces one that expires at the same
-- time is written over it, which leaves the TTL alone and costs Redis half as much.
local function put(key, state, packed, replaced)
  if replaced and replaced.expires == state.expires then
    call('SETRANGE', key, 0, packed)
  else
    call('SET', key, packed, 'PXAT', string.format('%d', dropped_at(state.expires)))
  end
end

-- The strategies of this program, by number.
local STRATEGIES = {}
