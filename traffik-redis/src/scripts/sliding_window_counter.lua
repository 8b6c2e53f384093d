-- SlidingWindowCounter. The state is the charges of the previous window and of the current one. The length of a window
-- is the period of the state. The state expires when the window after the current one ends.
local sliding_window_counter = {}

-- Returns the end of the current window at the time of writing.
local function window_end(state)
  return max(0, state.expires - state.period)
end

-- Returns the previous count, the current count, and the end of the current window at this time.
local function windows(state)
  local finish = window_end(state)
  if now < finish then
    return state.first, state.second, finish
  end
  return state.second, 0, finish + state.period
end

function sliding_window_counter.fits(state, hit)
  local left = hit.limit - hit.cost
  if not state then
    return left >= 0
  end
  local previous, current, finish = windows(state)
  left = left - current
  return left >= 0 and is_at_most(previous, max(0, finish - now), 0, left, state.period)
end

function sliding_window_counter.charge(state, hit)
  local carried = 0
  if state then
    local previous, current, finish = windows(state)
    if hit.period == state.period then
      return new_state(finish + hit.period, previous, current + hit.cost, hit)
    end
    -- Carry the usage from windows of another length into the current window of this length.
    local whole, rest = mul_div_rem(previous, max(0, finish - now), state.period)
    carried = whole + (rest > 0 and 1 or 0) + current
  end
  local finish = now - math.fmod(now, hit.period) + hit.period
  return new_state(finish + hit.period, 0, carried + hit.cost, hit)
end

function sliding_window_counter.clamped_to(state)
  if now >= window_end(state) - state.period then
    return nil
  end
  return new_state(now + 2 * state.period, state.first, state.second, state)
end

function sliding_window_counter.settle(state, hit, charged, actual, charged_at)
  if actual > charged then
    local settled = sliding_window_counter.charge(state, hit)
    return settled.second <= MAX_COUNT and settled, TOO_MUCH
  end
  local cost, start = charged - actual, max(0, window_end(state) - state.period)
  if charged_at >= start then
    return new_state(state.expires, state.first, max(0, state.second - cost), state)
  elseif charged_at >= start - state.period then
    return new_state(state.expires, max(0, state.first - cost), state.second, state)
  end
  return nil
end

STRATEGIES[2] = sliding_window_counter
