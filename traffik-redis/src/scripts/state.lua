-- What is stored of a client: a version, the time from which it says nothing any more, two integers that mean what the
-- strategy says, and the limit and the period that it was written under. 34 bytes.
local STATE, VERSION = '<BI7I7I7I6I6', 1

local function pack(state)
  return struct.pack(STATE, VERSION, state.expires, state.first, state.second, state.limit, state.period)
end

-- Nothing where nothing is stored.
local function unpack_state(packed)
  if not packed then
    return nil
  end
  local state, version = {}, string.byte(packed)
  if version ~= VERSION then
    error('traffik: a state of version ' .. tostring(version) .. ', of which this version knows nothing')
  end
  version, state.expires, state.first, state.second, state.limit, state.period = struct.unpack(STATE, packed)
  return state
end

-- What has expired already, as after a refund, is dropped by Redis at once.
local function put(key, state, packed)
  redis.call('SET', key, packed, 'PXAT', dropped_at(state.expires))
end
