-- A question is the number of its keys, and then its hits. Each hit refers to one of the keys. It has one more number if its
-- strategy needs it.
local HIT = '<I2BI6I6I6I6'

-- Holds the hits of the current question. Later questions reuse the tables: creating and collecting tables is a large part of
-- a decision's time.
local hits = {}

-- Returns the hits of a question, and the index of its last key. Its keys follow those of earlier questions.
local function read_hits(packed, keys_before)
  local count, at = from_bytes('<I2', packed)
  local place = 0
  while at <= #packed do
    place = place + 1
    local hit = hits[place]
    if not hit then
      hit = { entry = 0, strategy = 0, size = 0, limit = 0, period = 0, cost = 0, fits = true }
      hits[place] = hit
    end
    local entry, strategy
    entry, strategy, hit.size, hit.limit, hit.period, hit.cost, at = from_bytes(HIT, packed, at)
    hit.entry, hit.strategy, hit.fits = keys_before + entry, STRATEGIES[strategy], true
    if hit.strategy.more then
      hit.more, at = from_bytes(hit.strategy.more, packed, at)
    end
  end
  for other = #hits, place + 1, -1 do
    hits[other] = nil
  end
  return hits, keys_before + count
end

-- Returns the entry of a key. `before` is its unexpired state before any hit, and `known` the state with the hits that fit.
-- The answer contains `packed`, unless the strategy has its own `tell`, `read` and `write`.
local function read_entry(key, strategy)
  local entry = { key = key, strategy = strategy, packed = '', before = nil, known = nil, told = nil }
  local state, packed
  if strategy.read then
    state = strategy.read(key)
  else
    packed = call('GET', key)
    state = packed and unpack_state(packed, key)
  end
  if not state then
    return entry
  end
  -- A clock that is ahead of this one wrote the state. It is moved back by the difference, which a refusal also stores.
  local moved = strategy.clamped_to(state)
  if moved then
    state, entry.is_rewound = moved, true
    packed = packed and pack(moved)
  end
  if state.expires > now then
    entry.before, entry.packed, entry.known, entry.told = state, packed, state, state
  end
  return entry
end

-- Replaces the state of an entry, in the answer and in the store.
local function settle(entry, state)
  entry.told, entry.is_new = state, true
  if not entry.strategy.write then
    entry.packed = pack(state)
  end
end

-- Stores the settled entries. Nothing is read after that.
local function store(entries)
  for _, entry in pairs(entries) do
    if entry.is_new then
      if entry.strategy.write then
        entry.strategy.write(entry.key, entry.told)
      else
        put(entry.key, entry.told, entry.packed, not entry.is_rewound and entry.before)
      end
    end
  end
end

-- Charges the hits that fit, in order, in the entries and not in the store. Sets `fits` of each hit. Returns whether all of
-- them fit, and the entries.
local function try_hits(hits)
  local all_fit, entries = true, {}
  for i = 1, #hits do
    local hit = hits[i]
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
  return all_fit, entries
end

-- Returns for each hit whether it fits, and the state of its client.
local function tell(hits, entries)
  local answer = {}
  for i = 1, #hits do
    local hit = hits[i]
    local entry = entries[hit.entry]
    local packed = entry.packed
    if hit.strategy.tell then
      entry.cost = (entry.cost or 0) + hit.cost
      packed = entry.told and hit.strategy.tell(entry.told, hit, entry.cost) or ''
    end
    answer[2 * i - 1], answer[2 * i] = hit.fits and 1 or 0, packed
  end
  return answer
end

-- Returns the time, and the answer to each question. A question that fails gets its error, and the others their answers.
local function answer_each(answer)
  local answers, keys_before, hits = { now }, 0, nil
  for question = 1, QUESTIONS do
    hits, keys_before = read_hits(ARGV[question], keys_before)
    local _, said = pcall(answer, hits)
    -- The error of a server command is a table, or a text on old servers.
    said = type(said) == 'table' and said.err or said
    -- A replica writes nothing: the caller has to find the primary.
    if type(said) == 'string' and string.find(said, 'READONLY', 1, true) then
      error(said, 0)
    end
    answers[question + 1] = said
  end
  return answers
end
