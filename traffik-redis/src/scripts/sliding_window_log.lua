-- SlidingWindowLog, and Concurrency, which stores the same log under its own name. The log has the end and the cost of
-- each charge, in the order of the ends. The stored form is a header of 35 bytes, and 8 bytes per charge: its end in
-- microseconds modulo 2^48, and the sum of all charges up to it modulo 2^16.
--
-- The moduli suffice. All charges that count end within one period, which is below 2^42, and their sum is at most 65
-- 536. Only differences between two entries have a meaning. The last entry ends when the state expires, so a clock that
-- goes back changes only the header.
--
-- A short log is read and written as a whole. In a longer log, a decision reads only the pages that it searches, and
-- appends its charge. Once most of the log has ended, the rest is written again. Two cases copy the whole log: a charge
-- that ends before earlier ones, such as one at a new rate, and a late refund.
local HEADER, HEADER_SIZE, LOG_VERSION = '<BI7I7I6I6I3I3I2', 35, 3
local ENTRY, ENTRY_SIZE = '<I6I2', 8
local TIMES, SUMS = 2 ^ 48, 2 ^ 16
-- The number of entries per read. Half or twice as many make no difference.
local PAGE = 64

local sliding_window_log = {}

-- Returns the time and the sum of the entry at a place, counted from 0. Stored entries come first, then those of this
-- call.
local function entry_at(log, place)
  if place >= log.kept then
    return struct.unpack(ENTRY, log.added, (place - log.kept) * ENTRY_SIZE + 1)
  end
  local stored = log.stored
  if place < stored.at_hand then
    return struct.unpack(ENTRY, stored.text, HEADER_SIZE + place * ENTRY_SIZE + 1)
  end
  local page = floor(place / PAGE)
  local start = page * PAGE
  local text = stored.pages[page]
  if not text then
    local from = HEADER_SIZE + start * ENTRY_SIZE
    text = redis.call('GETRANGE', stored.key, from, from + PAGE * ENTRY_SIZE - 1)
    stored.pages[page] = text
  end
  return struct.unpack(ENTRY, text, (place - start) * ENTRY_SIZE + 1)
end

-- Returns the entries from one place to before another, in their stored form.
local function entries_between(log, from, to)
  local kept, stored = min(to, log.kept), log.stored
  local first, last = HEADER_SIZE + from * ENTRY_SIZE, HEADER_SIZE + kept * ENTRY_SIZE - 1
  local entries = ''
  if from >= kept then
    entries = ''
  elseif kept <= stored.at_hand then
    entries = string.sub(stored.text, first + 1, last + 1)
  else
    entries = redis.call('GETRANGE', stored.key, first, last)
  end
  if to <= log.kept then
    return entries
  end
  return entries .. string.sub(log.added, max(0, from - log.kept) * ENTRY_SIZE + 1, (to - log.kept) * ENTRY_SIZE)
end

-- Returns how long before the end of the log an entry ends.
local function before_end(log, time)
  return (log.last_time - time) % TIMES
end

-- Returns the first place, starting at `from`, for which `is_so` holds. It holds for all later places too. The place is
-- usually near `from`.
local function find(log, from, is_so)
  local low, high, step = from, from, 1
  while high < log.count and not is_so(entry_at(log, high)) do
    low, high, step = high + 1, high + step, 2 * step
  end
  high = min(high, log.count)
  while low < high do
    local middle = floor((low + high) / 2)
    if is_so(entry_at(log, middle)) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- Returns the first place that ends at a time or later.
local function place_of(log, from, ends)
  local most = log.expires - ends
  return find(log, from, function(time)
    return before_end(log, time) <= most
  end)
end

local function sum_before(log, place)
  if place <= log.first then
    return log.forgotten
  end
  local _, sum = entry_at(log, place - 1)
  return sum
end

-- Returns the difference of two sums, which are not equal.
local function between(sum, before)
  local rest = (sum - before) % SUMS
  return rest > 0 and rest or SUMS
end

-- Returns the first place that counts now, the sum before it, and the sum of what counts.
local function counted(log)
  if not log.used then
    log.counts = place_of(log, log.first, now + 1)
    log.sum_before = sum_before(log, log.counts)
    log.used = between(log.last_sum, log.sum_before)
  end
  return log.counts, log.sum_before, log.used
end

-- Creates a log of the first `kept` stored entries, followed by the added ones.
local function new_log(rate, written, first, forgotten, stored, kept, added)
  local log = {
    limit = rate.limit,
    period = rate.period,
    written = written,
    first = first,
    forgotten = forgotten,
    stored = stored,
    kept = kept,
    added = added,
    count = kept + #added / ENTRY_SIZE,
    expires = 0,
  }
  if log.count > first then
    log.last_time, log.last_sum = entry_at(log, log.count - 1)
  end
  return log
end

-- Sets when a log expires. Its last entry is also in the other log, whose end is known.
local function ending(log, other)
  if log.last_time then
    log.expires = other.expires - before_end(other, log.last_time)
  end
  return log
end

-- Returns the entries from one place to before another, with `more` added to each sum. It works page by page, because
-- there may be tens of thousands of entries.
local function raised(log, from, to, more)
  local entries, parts, at = entries_between(log, from, to), {}, 1
  while at <= #entries do
    local count = min(PAGE, (#entries - at + 1) / ENTRY_SIZE)
    local format = '<' .. string.rep('I6I2', count)
    local numbers = { struct.unpack(format, entries, at) }
    for i = 2, 2 * count, 2 do
      numbers[i] = (numbers[i] + more) % SUMS
    end
    parts[#parts + 1] = struct.pack(format, unpack(numbers, 1, 2 * count))
    at = at + count * ENTRY_SIZE
  end
  return table.concat(parts)
end

-- Returns a copy without the entries from `place` to `rest`. Adds `more` to each sum from `rest` on. If `time` is set,
-- puts an entry that ends at `time` in place of the removed ones. If fewer entries come before the change, it lowers
-- their sums instead.
local function spliced(log, first, forgotten, place, time, rest, more)
  local entries
  local sum = sum_before(log, place)
  if place - first < log.count - rest then
    forgotten = (forgotten - more) % SUMS
    entries = { '', raised(log, first, place, -more), '', entries_between(log, rest, log.count) }
  else
    entries = { '', entries_between(log, first, place), '', raised(log, rest, log.count, more) }
    sum = sum + more
  end
  if time then
    entries[3] = struct.pack(ENTRY, time, sum % SUMS)
  end
  entries[1] = string.rep(' ', HEADER_SIZE)
  local text = table.concat(entries)
  local count = (#text - HEADER_SIZE) / ENTRY_SIZE
  return new_log(log, log.written, 0, forgotten, { text = text, at_hand = count, is_whole = true }, count, '')
end

function sliding_window_log.read(key)
  local text = redis.call('GETRANGE', key, 0, HEADER_SIZE + PAGE * ENTRY_SIZE - 1)
  -- `GETRANGE` shows an empty string like a missing key.
  if text == '' and not call('GET', key) then
    return nil
  end
  check_version(text, LOG_VERSION, key)
  local _, expires, written, limit, period, first, count, forgotten = struct.unpack(HEADER, text)
  local stored = { key = key, text = text, at_hand = PAGE, pages = {}, is_whole = count <= PAGE }
  local log = new_log({ limit = limit, period = period }, written, first, forgotten, stored, count, '')
  log.expires = expires
  return log
end

function sliding_window_log.write(key, log)
  local expires, first = dropped_at(log.expires), log.first
  local function header(from)
    return struct.pack(
      HEADER, LOG_VERSION, log.expires, log.written, log.limit, log.period, first - from, log.count - from, log.forgotten
    )
  end
  if log.stored.is_whole or first > log.count - first then
    redis.call('SET', key, header(first) .. entries_between(log, first, log.count), 'PXAT', expires)
    return
  end
  redis.call('SETRANGE', key, 0, header(0))
  if log.added ~= '' then
    redis.call('SETRANGE', key, HEADER_SIZE + log.kept * ENTRY_SIZE, log.added)
  end
  redis.call('PEXPIREAT', key, expires)
end

function sliding_window_log.fits(log, hit)
  local left = hit.limit - hit.cost
  if left < 0 or not log then
    return left >= 0
  end
  local _, _, used = counted(log)
  return used <= left
end

function sliding_window_log.charge(log, hit)
  local ends = now + hit.period
  if not log then
    local entry = struct.pack(ENTRY, ends % TIMES, hit.cost % SUMS)
    local new = new_log(hit, now, 0, 0, { is_whole = true }, 0, entry)
    new.expires = ends
    return new
  end
  local first, forgotten = counted(log)
  local later = ends - log.expires
  local time = (log.last_time + later) % TIMES
  local new
  if later < 0 then
    local place = place_of(log, first, ends)
    local is_new = entry_at(log, place) ~= time
    new = spliced(log, first, forgotten, place, is_new and time, place, hit.cost)
  else
    local kept, added = log.kept, log.added
    if later == 0 then
      -- The charge ends together with the last entry, and replaces that entry.
      if added == '' then
        kept = kept - 1
      else
        added = string.sub(added, 1, -1 - ENTRY_SIZE)
      end
    end
    added = added .. struct.pack(ENTRY, time, (log.last_sum + hit.cost) % SUMS)
    new = new_log(log, now, first, forgotten, log.stored, kept, added)
  end
  new.written, new.limit, new.period, new.expires = now, hit.limit, hit.period, max(ends, log.expires)
  return new
end

function sliding_window_log.clamped_to(log)
  local ahead = log.written - now
  if ahead <= 0 then
    return nil
  end
  local moved = new_log(log, now, log.first, log.forgotten, log.stored, log.kept, log.added)
  moved.expires = max(0, log.expires - ahead)
  return moved
end

-- Returns the place and the cost of the charge that was made at a time, or nil.
local function charge_of(log, charged_at)
  local ends = charged_at + log.period
  local place = place_of(log, log.first, ends)
  if place == log.count then
    return nil
  end
  local time, sum = entry_at(log, place)
  if log.expires - before_end(log, time) ~= ends then
    return nil
  end
  return place, between(sum, sum_before(log, place))
end

function sliding_window_log.still_counts(log, cost, charged_at)
  local _, charged = charge_of(log, charged_at)
  return charged ~= nil and charged >= cost and charged_at + log.period > now
end

function sliding_window_log.settle(log, hit, charged, actual, charged_at)
  if hit.is_indivisible and actual > 0 then
    return nil, INDIVISIBLE
  elseif actual > charged then
    -- A larger sum would wrap, and read as a lower one.
    local is_stored = sliding_window_log.fits(log, { limit = SUMS, cost = actual - charged })
    return is_stored and sliding_window_log.charge(log, hit), TOO_MUCH
  end
  local cost = charged - actual
  local place, found = charge_of(log, charged_at)
  if not place then
    return nil
  end
  local first = log.first
  local rest = cost < found and place or place + 1
  cost = min(cost, found)
  if log.count - place <= PAGE then
    -- Earlier entries may also belong to this call.
    local kept = min(place, log.kept)
    local added = string.sub(log.added, 1, (place - kept) * ENTRY_SIZE) .. raised(log, rest, log.count, -cost)
    return ending(new_log(log, log.written, first, log.forgotten, log.stored, kept, added), log)
  end
  return ending(spliced(log, first, log.forgotten, place, nil, rest, -cost), log)
end

-- Returns the first place after whose end at most `most` counts.
local function last_of(log, first, used, most)
  if used <= most then
    return first
  elseif most == 0 then
    return log.count - 1
  end
  return find(log, first, function(_, sum)
    return (log.last_sum - sum) % SUMS <= most
  end)
end

-- Returns the part of the log that the answer needs, in the form of a state of any strategy.
function sliding_window_log.show(log, hit, cost)
  local first, before, used = counted(log)
  local left = max(0, hit.limit - used)
  local near = last_of(log, first, used, max(0, hit.limit - left - 1))
  local far = last_of(log, first, used, max(0, hit.limit - cost))
  local places = { min(near, far), max(near, far), log.count - 1 }
  local shown = { struct.pack('<BI8I8I8I6I6', 2, log.expires, log.written, 0, log.limit, log.period) }
  for i, place in ipairs(places) do
    if place ~= places[i - 1] then
      local time, sum = entry_at(log, place)
      shown[#shown + 1] = struct.pack('<I8I8', log.expires - before_end(log, time), between(sum, before))
      before = sum
    end
  end
  return table.concat(shown)
end

STRATEGIES[4] = sliding_window_log
