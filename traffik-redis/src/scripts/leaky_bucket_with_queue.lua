-- LeakyBucketWithQueue: a meter whose requests wait until the earlier ones have drained. It refuses a request that
-- would wait too long. It uses functions of the meter, so its file follows meter.lua.
local queue = { clamped_to = meter.clamped_to, more = '<I7' }

function queue.fits(state, hit)
  if not meter.fits(state, hit) then
    return false
  end
  if not state then
    return true
  end
  local micros, fraction = read(state, hit)
  local drains_in = micros - now
  return drains_in < 0 or drains_in < hit.more or (drains_in == hit.more and fraction == 0)
end

-- Under another rate the queue keeps its time. The fraction is rounded up to a fraction of the new rate.
function queue.charge(state, hit)
  local micros, fraction = now, 0
  if state then
    local rate
    micros, fraction, rate = read(state, hit)
    if rate.limit ~= hit.limit then
      local whole, rest = mul_div_rem(fraction, hit.limit, rate.limit)
      fraction = rest > 0 and whole + 1 or whole
      if fraction >= hit.limit then
        micros, fraction = micros + 1, 0
      end
    end
  end
  micros, fraction = filled(micros, fraction, hit, hit.cost, now)
  return drained_at_to_state(micros, fraction, now, hit)
end

-- A lower cost takes effect only for the last charge in the queue. Then exactly the actual cost stays.
function queue.settle(state, hit, charged, actual, charged_at)
  if actual > charged then
    return meter.settle(state, hit, charged, actual, charged_at)
  end
  local micros, fraction = filled(charged_at, 0, state, charged, charged_at)
  local alone = drained_at_to_state(micros, fraction, charged_at, state)
  if alone.expires ~= state.expires or alone.first ~= state.first then
    return nil
  end
  micros, fraction = filled(charged_at, 0, state, actual, charged_at)
  return drained_at_to_state(micros, fraction, charged_at, state)
end

STRATEGIES[5] = queue
