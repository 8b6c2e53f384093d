-- The meter of TokenBucket, LeakyBucket and Gcra. The state has two times: when the meter will have drained, and when
-- it was written. The first is in whole microseconds, and fraction ÷ limit of another microsecond. The state expires
-- when the meter has drained, rounded up.
local meter = {}

-- Returns the time at which the meter will have drained: the microseconds, and the fraction.
local function drained_at(state)
  local fraction = min(state.first, state.limit - 1)
  if fraction > 0 then
    return max(0, state.expires - 1), fraction
  end
  return state.expires, 0
end

local function drained_at_to_state(micros, fraction, written, rate)
  return new_state(fraction > 0 and micros + 1 or micros, fraction, written, rate)
end

-- Returns the level of the meter at a time, rounded up.
local function level(micros, fraction, rate, time)
  if micros < time then
    return 0
  end
  local whole, rest = mul_div_rem(micros - time, rate.limit, rate.period)
  return whole + ceil((rest + fraction) / rate.period)
end

-- Returns when the meter will have drained if a cost is added at a time.
local function filled(micros, fraction, rate, cost, time)
  if micros < time then
    micros, fraction = time, 0
  end
  local whole, rest = mul_div_rem(cost, rate.period, rate.limit)
  micros, fraction = micros + whole, fraction + rest
  if fraction >= rate.limit then
    return micros + 1, fraction - rate.limit
  end
  return micros, fraction
end

local function is_same(rate, other)
  return rate.limit == other.limit and rate.period == other.period
end

-- Returns when the meter will have drained for a hit, and the rate at which it drains: the slower of the rates of the
-- hit and of the state.
local function read(state, hit)
  local micros, fraction = drained_at(state)
  if is_same(state, hit) or is_at_most(state.limit, hit.period, 0, hit.limit, state.period) then
    return micros, fraction, state
  end
  local written = state.second
  micros, fraction = filled(written, 0, hit, level(micros, fraction, state, written), written)
  return micros, fraction, hit
end

function meter.fits(state, hit)
  local left = hit.size - hit.cost
  if left < 0 or not state then
    return left >= 0
  end
  local micros, fraction, rate = read(state, hit)
  local drained_in = micros - now
  if drained_in < 0 then
    return true
  end
  -- Products are exact below LIMB. No meter within its limit takes that long to drain.
  return drained_in < LIMB and is_at_most(drained_in, rate.limit, fraction, left, rate.period)
end

function meter.charge(state, hit)
  local micros, fraction, rate = now, 0, hit
  if state then
    micros, fraction, rate = read(state, hit)
  end
  if not is_same(rate, hit) then
    -- Express the level in units of the hit's rate, rounded up to a whole unit.
    micros, fraction = filled(now, 0, hit, level(micros, fraction, rate, now), now)
  end
  micros, fraction = filled(micros, fraction, hit, hit.cost, now)
  return drained_at_to_state(micros, fraction, now, hit)
end

function meter.clamped_to(state)
  local ahead = state.second - now
  if ahead <= 0 then
    return nil
  end
  local micros, fraction = drained_at(state)
  return drained_at_to_state(max(0, micros - ahead), fraction, now, state)
end

-- A lower cost: removes the part of the refunded cost that has not drained by now. The part that stays drains first.
function meter.settle(state, hit, charged, actual, charged_at)
  if actual > charged then
    local settled = hit.strategy.charge(state, hit)
    return settled.expires - now <= MAX_DRAIN_TIME and settled, TOO_MUCH
  end
  local micros, fraction = drained_at(state)
  local since, whole, rest = max(0, now - charged_at), nil, nil
  if since <= mul_div_rem(actual, state.period, state.limit) then
    whole, rest = mul_div_rem(charged - actual, state.period, state.limit)
  else
    whole, rest = mul_div_rem(charged, state.period, state.limit)
    whole = whole - since
  end
  if whole < 0 then
    return nil
  end
  micros, fraction = micros - whole, fraction - rest
  if fraction < 0 then
    micros, fraction = micros - 1, fraction + state.limit
  end
  return drained_at_to_state(max(0, micros), fraction, state.second, state)
end

STRATEGIES[3] = meter
