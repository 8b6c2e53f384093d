-- FixedWindow: the window's start, and what is used of it. It ends when the state expires.
local fixed_window = {}

function fixed_window.fits(state, hit)
  local used = state and state.second or 0
  return hit.cost <= hit.limit - used
end

function fixed_window.charge(state, hit)
  local start = now - math.fmod(now, hit.period)
  local finish = start + hit.period
  if not state then
    return { expires = finish, first = start, second = hit.cost }
  end
  return { expires = math.max(state.expires, finish), first = state.first, second = state.second + hit.cost }
end

function fixed_window.rewound(state)
  if now >= state.first then
    return nil
  end
  local length = math.max(0, state.expires - state.first)
  return { expires = now + length, first = now, second = state.second }
end

function fixed_window.refund(state, cost, charged_at)
  if charged_at < state.first then
    return nil
  end
  return { expires = state.expires, first = state.first, second = math.max(0, state.second - cost) }
end
