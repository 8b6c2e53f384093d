-- The meter of TokenBucket, LeakyBucket and Gcra: the time at which it will have drained, as whole microseconds and a
-- fraction ÷ limit of one more, and the time when it was written. The state expires at that time, rounded up.
local meter = {}

local function empty(limit, period)
  return { limit = limit, period = period, written = now, micros = now, fraction = 0 }
end

local function stored(state)
  local fraction = math.min(state.first, state.limit - 1)
  return {
    limit = state.limit,
    period = state.period,
    written = state.second,
    micros = math.max(0, state.expires - (fraction > 0 and 1 or 0)),
    fraction = fraction,
  }
end

local function to_state(gauge)
  return {
    expires = gauge.micros + (gauge.fraction > 0 and 1 or 0),
    first = gauge.fraction,
    second = gauge.written,
  }
end

-- What it holds at a time, rounded up.
local function level(gauge, time)
  local drained_in = gauge.micros - time
  if drained_in < 0 then
    return 0
  end
  local whole, rest = mul_div_rem(drained_in, gauge.limit, gauge.period)
  return whole + math.ceil((rest + gauge.fraction) / gauge.period)
end

-- With a cost more in it at a time.
local function filled(gauge, cost, time)
  local micros, fraction = gauge.micros, gauge.fraction
  if micros < time then
    micros, fraction = time, 0
  end
  local whole, rest = mul_div_rem(cost, gauge.period, gauge.limit)
  micros, fraction = micros + whole, fraction + rest
  if fraction >= gauge.limit then
    micros, fraction = micros + 1, fraction - gauge.limit
  end
  return { limit = gauge.limit, period = gauge.period, written = time, micros = micros, fraction = fraction }
end

-- The same level at a time, in the terms of a hit's rate, rounded up to a whole unit.
local function at_rate(gauge, hit, time)
  if gauge.limit == hit.limit and gauge.period == hit.period then
    return gauge
  end
  local fresh = { limit = hit.limit, period = hit.period, written = time, micros = time, fraction = 0 }
  return filled(fresh, level(gauge, time), time)
end

-- As one who counts by the hit's rate reads it: at the slower of that rate and the one that it was written under.
local function read(state, hit)
  local gauge = stored(state)
  if is_at_most(state.limit, hit.period, 0, hit.limit, state.period) then
    return gauge
  end
  return at_rate(gauge, hit, gauge.written)
end

function meter.fits(state, hit)
  local left = hit.size - hit.cost
  if left < 0 or not state then
    return left >= 0
  end
  local gauge = read(state, hit)
  local drained_in = gauge.micros - now
  if drained_in < 0 then
    return true
  end
  -- No meter that may be filled takes as long as the longest time that products are exact with.
  return drained_in < LIMB and is_at_most(drained_in, gauge.limit, gauge.fraction, left, gauge.period)
end

function meter.charge(state, hit)
  local gauge = state and at_rate(read(state, hit), hit, now) or empty(hit.limit, hit.period)
  return to_state(filled(gauge, hit.cost, now))
end

function meter.rewound(state)
  local ahead = state.second - now
  if ahead <= 0 then
    return nil
  end
  local gauge = stored(state)
  gauge.written, gauge.micros = now, math.max(0, gauge.micros - ahead)
  return to_state(gauge)
end

-- What it cost, less all that may have drained of it since.
function meter.refund(state, cost, charged_at)
  local gauge = stored(state)
  local whole, rest = mul_div_rem(cost, gauge.period, gauge.limit)
  whole = whole - math.max(0, now - charged_at)
  if whole < 0 then
    return nil
  end
  gauge.micros, gauge.fraction = gauge.micros - whole, gauge.fraction - rest
  if gauge.fraction < 0 then
    gauge.micros, gauge.fraction = gauge.micros - 1, gauge.fraction + gauge.limit
  end
  gauge.micros = math.max(0, gauge.micros)
  return to_state(gauge)
end
