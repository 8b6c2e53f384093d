-- The stored state of a client, in 34 bytes: a version, the expiry, two integers of the strategy, and the limit and the
-- period at the time of writing.
local STATE, VERSION = '<BI7I7I7I6I6', 1
-- The bounds of a settlement above a limit: the highest count, and the longest time in which a meter drains, 36 500
-- days. Then the numbers of the errors: the settlement exceeds a bound, and the strategy does not count amounts.
local MAX_COUNT, MAX_DRAIN_TIME, TOO_MUCH, INDIVISIBLE = 2 ^ 47, 36500 * 86400000000, 1, 2
local call, to_bytes, from_bytes = redis.call, struct.pack, struct.unpack

local function pack(state)
  return to_bytes(STATE, VERSION, state.expires, state.first, state.second, state.limit, state.period)
end

-- Creates a state with the limit and the period of `rate`, which is a hit or another state.
local function new_state(expires, first, second, rate)
  return { expires = expires, first = first, second = second, limit = rate.limit, period = rate.period }
end

local function check_version(packed, version, key)
  local found = string.byte(packed)
  if found ~= version then
    local what = found and 'a state of version ' .. found or 'an empty string'
    error('traffik: the key ' .. key .. ' holds ' .. what .. ', which this version cannot read: delete the key, or upgrade', 0)
  end
end

local function unpack_state(packed, key)
  check_version(packed, VERSION, key)
  local _, expires, first, second, limit, period = from_bytes(STATE, packed)
  return { expires = expires, first = first, second = second, limit = limit, period = period }
end

-- Stores a state. Redis drops an expired state immediately, for example after a refund. A state that expires at the
-- same time as the replaced one overwrites it in place. This leaves the TTL unchanged, and takes Redis half the time.
local function put(key, state, packed, replaced)
  if replaced and replaced.expires == state.expires then
    call('SETRANGE', key, 0, packed)
  else
    call('SET', key, packed, 'PXAT', string.format('%d', dropped_at(state.expires)))
  end
end

-- The strategies of this program, by number.
local STRATEGIES = {}
