-- FixedWindow. The state is the start of the window, and its usage. The window ends when the state expires.
local fixed_window = {}

function fixed_window.fits(state, hit)
  local used = state and state.second or 0
  return hit.cost <= hit.limit - used
end

function fixed_window.charge(state, hit)
  local start = now - math.fmod(now, hit.period)
  local finish = start + hit.period
  if not state then
    return new_state(finish, start, hit.cost, hit)
  end
  return new_state(max(state.expires, finish), state.first, state.second + hit.cost, hit)
end

function fixed_window.clamped_to(state)
  if now >= state.first then
    return nil
  end
  return new_state(now + max(0, state.expires - state.first), now, state.second, state)
end

function fixed_window.settle(state, hit, charged, actual, charged_at)
  if actual > charged then
    local settled = fixed_window.charge(state, hit)
    return settled.second <= MAX_COUNT and settled, TOO_MUCH
  elseif charged_at < state.first then
    return nil
  end
  return new_state(state.expires, state.first, max(0, state.second - (charged - actual)), state)
end

STRATEGIES[1] = fixed_window
