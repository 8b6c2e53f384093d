-- A question has the number of its keys, then its hits. Each hit is about one key. The byte of the strategy has flags
-- above the number of the strategy. With the first flag, the highest cost follows, and the cost is the lowest. Then one
-- more number follows if the strategy uses one.
local HIT, STRATEGY_BITS, COSTS = '<I2BI6I6I6I6', 16, 2 ^ 48

-- Holds the hits of the current question. Later questions reuse the tables, because creating and collecting tables
-- takes a large part of a decision.
local hits = {}

-- Reads the flags: the hit takes what fits up to `most`, is not enforced, or has a strategy that does not count
-- amounts.
local function read_flags(hit, flags, packed, at)
  hit.is_loose, hit.is_indivisible = flags % 4 > 1, flags > 3
  hits.are_plain = hits.are_plain and flags % 4 == 0
  if flags % 2 == 1 then
    hit.most, at = from_bytes('<I6', packed, at)
  end
  return at
end

local function read_hits(packed, keys_before)
  local count, at = from_bytes('<I2', packed)
  local place = 0
  hits.are_plain = true
  while at <= #packed do
    place = place + 1
    local hit = hits[place]
    if not hit then
      hit = { entry = 0, strategy = 0, size = 0, limit = 0, period = 0, cost = 0, fits = true }
      hits[place] = hit
    end
    local entry, strategy
    entry, strategy, hit.size, hit.limit, hit.period, hit.cost, at = from_bytes(HIT, packed, at)
    hit.most, hit.is_loose, hit.is_indivisible = hit.cost, false, false
    if strategy >= STRATEGY_BITS then
      at = read_flags(hit, floor(strategy / STRATEGY_BITS), packed, at)
      strategy = strategy % STRATEGY_BITS
    end
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

-- Returns the entry of a key. `before` is its unexpired state before any hit, and `known` the state with the hits that
-- fit. The answer contains `packed`, unless the strategy has its own `show`, `read` and `write`.
local function read_entry(key, strategy)
  local entry = { key = key, strategy = strategy, packed = '', before = nil, known = nil, shown = nil }
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
  -- The state was written by a clock that is ahead of this one. Moves the state back by the difference. A refusal
  -- stores this too.
  local moved = strategy.clamped_to(state)
  if moved then
    state, entry.is_rewound = moved, true
    packed = packed and pack(moved)
  end
  if state.expires > now then
    entry.before, entry.packed, entry.known, entry.shown = state, packed, state, state
  end
  return entry
end

-- Replaces the state of an entry in the answer, and marks it to be stored.
local function settle(entry, state)
  entry.shown, entry.is_new = state, true
  if not entry.strategy.write then
    entry.packed = pack(state)
  end
end

-- Stores the settled entries. Nothing is read after that.
local function store(entries)
  for _, entry in pairs(entries) do
    if entry.is_new then
      if entry.strategy.write then
        entry.strategy.write(entry.key, entry.shown)
      else
        put(entry.key, entry.shown, entry.packed, not entry.is_rewound and entry.before)
      end
    end
  end
end

-- Charges a hit if it fits after the hits before it. Returns whether it fits.
local function try_hit(hit, entry)
  if hit.cost > 0 then
    if not hit.strategy.fits(entry.known, hit) then
      return false
    end
    entry.known, entry.is_charged = hit.strategy.charge(entry.known, hit), true
  end
  return true
end

-- Charges the enforced hits again, with `extra` above their lowest costs. Returns false at the first that does not fit.
local function try_extra(hits, entries, extra)
  for _, entry in pairs(entries) do
    entry.known, entry.is_charged = entry.before, false
  end
  for i = 1, #hits do
    local hit = hits[i]
    if not hit.is_loose then
      hit.cost = min(hit.most, hit.least + extra)
      if not try_hit(hit, entries[hit.entry]) then
        return false
      end
    end
  end
  return true
end

-- Charges the highest amount above their lowest costs that all hits which take what fits can have. Returns the amount,
-- or infinity if there are no such hits.
local function charge_extra(hits, entries)
  local low, high = 0, math.huge
  for i = 1, #hits do
    local hit = hits[i]
    hit.least = hit.cost
    if hit.most > hit.cost and not hit.is_loose then
      high = min(high, hit.most - hit.cost, hit.size - hit.cost)
    end
  end
  if high == math.huge then
    return high
  end
  local extra = high
  while low < high do
    if try_extra(hits, entries, extra) then
      low = extra
    else
      high = extra - 1
    end
    extra = ceil((low + high) / 2)
  end
  try_extra(hits, entries, low)
  return low
end

-- Charges the hits that fit, one after the other, in the tables of this call only. Returns whether all enforced hits
-- fit, and the entries. If hits are not plain, also returns how much above the lowest costs is granted. Sets the
-- granted cost of each hit, and whether it fits.
local function try_hits(hits)
  local all_fit, entries, extra = true, {}, nil
  for i = 1, #hits do
    local hit = hits[i]
    local entry = entries[hit.entry]
    if not entry then
      entry = read_entry(KEYS[hit.entry], hit.strategy)
      entries[hit.entry] = entry
    end
    if not hit.is_loose and not try_hit(hit, entry) then
      hit.fits, all_fit = false, false
    end
  end
  if not hits.are_plain then
    extra = all_fit and charge_extra(hits, entries) or 0
    -- Hits that are not enforced come after all others.
    for i = 1, #hits do
      local hit = hits[i]
      if hit.is_loose then
        hit.cost = min(hit.most, hit.cost + extra)
        hit.fits = try_hit(hit, entries[hit.entry])
      end
    end
  end
  return all_fit, entries, extra
end

-- Returns for each hit whether it fits and the stored state of its client, and then the granted amount of `try_hits`,
-- if any.
local function show(hits, entries, extra)
  local answer = {}
  for i = 1, #hits do
    local hit = hits[i]
    local entry = entries[hit.entry]
    local packed = entry.packed
    if hit.strategy.show then
      local cost = (entry.cost or 0) + hit.cost
      if not hit.is_loose then
        entry.cost = cost
      else
        cost = cost + (entry.loose_cost or 0)
        entry.loose_cost = (entry.loose_cost or 0) + (hit.fits and hit.cost or 0)
      end
      packed = entry.shown and hit.strategy.show(entry.shown, hit, cost) or ''
    end
    answer[2 * i - 1], answer[2 * i] = hit.fits and 1 or 0, packed
  end
  answer[#answer + 1] = extra and min(extra, COSTS)
  return answer
end

-- Returns the text of an error about some keys. An error of this program, or of the type of a value, shows that a key
-- does not hold a state, and gets the names of the keys.
local function text_of(failed, first, last)
  -- The error of a server command is a table, or a string on old servers.
  local text = tostring(type(failed) == 'table' and failed.err or failed)
  -- A replica writes nothing. The caller has to find the primary.
  if string.find(text, 'READONLY', 1, true) then
    error(text, 0)
  end
  if string.find(text, 'WRONGTYPE', 1, true) or string.find(text, 'user_script', 1, true) == 1 then
    local keys = table.concat(KEYS, ' or ', first, last)
    return 'traffik: the key ' .. keys .. ' holds what is not a state (' .. text .. '): delete the key'
  end
  return text
end

-- Returns the time, and the answer to each question. If a question fails, its answer is the error, and the others get
-- theirs.
local function answer_each(answer)
  local answers, keys_before, hits = { now }, 0, nil
  for question = 1, QUESTIONS do
    local first, is_done = keys_before + 1, nil
    hits, keys_before = read_hits(ARGV[question], keys_before)
    is_done, answers[question + 1] = pcall(answer, hits)
    if not is_done then
      answers[question + 1] = text_of(answers[question + 1], first, keys_before)
    end
  end
  return answers
end
