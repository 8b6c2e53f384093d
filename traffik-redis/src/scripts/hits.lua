-- The hits: ARGV[1] holds one after the other, each about one of the keys.
local HIT = '<I2BI6I6I6I6'
local STRATEGIES = { fixed_window, sliding_window_counter, meter }

local function each_hit()
  local packed, at = ARGV[1], 1
  return function()
    if at > #packed then
      return nil
    end
    local hit, strategy = {}, nil
    hit.entry, strategy, hit.size, hit.limit, hit.period, hit.cost, at = struct.unpack(HIT, packed, at)
    hit.strategy = STRATEGIES[strategy]
    return hit
  end
end

-- What is stored under a key, and still says something now: before any hit, and once those that fit are charged.
local function read_entry(key, strategy)
  local entry = { key = key, packed = '' }
  local packed = redis.call('GET', key)
  local state = unpack_state(packed)
  if not state then
    return entry
  end
  -- Written by a clock that is ahead of this one: it is moved back by as much, which a refusal stores as well.
  local moved = strategy.rewound(state)
  if moved then
    moved.limit, moved.period = state.limit, state.period
    state, packed, entry.is_rewound = moved, pack(moved), true
  end
  if state.expires > now then
    entry.before, entry.packed, entry.known = state, packed, state
  end
  return entry
end

-- Charges the hits that fit, one after the other, in what is read here and nowhere else: whether all of them fit, whether
-- each does, and the entries.
local function try_hits()
  local all_fit, hits, entries = true, {}, {}
  for hit in each_hit() do
    local entry = entries[hit.entry]
    if not entry then
      entry = read_entry(KEYS[hit.entry], hit.strategy)
      entries[hit.entry] = entry
    end
    hit.fits = hit.cost == 0 or hit.strategy.fits(entry.known, hit)
    if not hit.fits then
      all_fit = false
    elseif hit.cost > 0 then
      local state = hit.strategy.charge(entry.known, hit)
      state.limit, state.period = hit.limit, hit.period
      entry.known, entry.is_charged = state, true
    end
    hits[#hits + 1] = hit
  end
  return all_fit, hits, entries
end

-- The time, and for each hit whether it fits and what is stored of its client.
local function tell(hits, entries)
  local answer = { now }
  for _, hit in ipairs(hits) do
    answer[#answer + 1] = hit.fits and 1 or 0
    answer[#answer + 1] = entries[hit.entry].packed
  end
  return answer
end
