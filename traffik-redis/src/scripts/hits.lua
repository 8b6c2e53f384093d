-- The hits: ARGV[1] holds one after the other, each about one of the keys.
local HIT = '<I2BI6I6I6I6'

local function read_hits()
  local hits, packed, at = {}, ARGV[1], 1
  while at <= #packed do
    local entry, strategy, size, limit, period, cost, next_at = struct.unpack(HIT, packed, at)
    hits[#hits + 1] = {
      entry = entry,
      strategy = STRATEGIES[strategy],
      size = size,
      limit = limit,
      period = period,
      cost = cost,
      fits = true,
    }
    at = next_at
  end
  return hits
end

-- What is stored under a key, and still says something now: before any hit, and once those that fit are charged.
local function read_entry(key, strategy)
  local entry = { key = key, packed = '', before = nil, known = nil }
  local packed = redis.call('GET', key)
  if not packed then
    return entry
  end
  local state = unpack_state(packed)
  -- Written by a clock that is ahead of this one: it is moved back by as much, which a refusal stores as well.
  local moved = strategy.rewound(state)
  if moved then
    state, packed, entry.is_rewound = moved, pack(moved), true
  end
  if state.expires > now then
    entry.before, entry.packed, entry.known = state, packed, state
  end
  return entry
end

-- Charges the hits that fit, one after the other, in what is read here and nowhere else: whether all of them fit, the hits,
-- each with whether it does, and the entries.
local function try_hits()
  local all_fit, hits, entries = true, read_hits(), {}
  for _, hit in ipairs(hits) do
    local entry = entries[hit.entry]
    if not entry then
      entry = read_entry(KEYS[hit.entry], hit.strategy)
      entries[hit.entry] = entry
    end
    if hit.cost > 0 then
      if hit.strategy.fits(entry.known, hit) then
        entry.known, entry.is_charged = hit.strategy.charge(entry.known, hit), true
      else
        hit.fits, all_fit = false, false
      end
    end
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
