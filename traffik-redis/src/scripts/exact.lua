-- Multiplies and divides exactly. Numbers are doubles, which hold every integer below 2^53. Larger products are kept as
-- two numbers.
--
-- Factors stay in bounds. A limit is below 2^47, a period is below 2^42, and a count is at most 2^47. A meter drains
-- within 100 years, which is below 2^52 microseconds, however far a settlement went above the limit. The level of a
-- meter is only computed when its rate changes. From 2^52 units on, which only settlements can reach, the level is
-- infinite: then nothing fits, and no settlement adds more.
local LIMB, HALF_LIMB = 2 ^ 52, 2 ^ 26
local ceil, floor, max, min = math.ceil, math.floor, math.max, math.min

-- Returns a × b as high × 2^52 + low, for a < 2^52 and b < 2^47. No intermediate sum reaches 2^53.
local function product(a, b)
  local a_high, b_high = floor(a / HALF_LIMB), floor(b / HALF_LIMB)
  local a_low, b_low = a - a_high * HALF_LIMB, b - b_high * HALF_LIMB
  local middle = a_high * b_low + a_low * b_high
  local middle_high = floor(middle / HALF_LIMB)
  local low = a_low * b_low + (middle - middle_high * HALF_LIMB) * HALF_LIMB
  local high = a_high * b_high + middle_high
  if low < LIMB then
    return high, low
  end
  return high + 1, low - LIMB
end

-- Returns whether a × b + rest ≤ c × d, for rest < 2^52.
local function is_at_most(a, b, rest, c, d)
  local left, right = a * b + rest, c * d
  if left < LIMB and right < LIMB then
    return left <= right
  end
  local left_high, left_low = product(a, b)
  left_low = left_low + rest
  if left_low >= LIMB then
    left_high, left_low = left_high + 1, left_low - LIMB
  end
  local right_high, right_low = product(c, d)
  return left_high < right_high or (left_high == right_high and left_low <= right_low)
end

-- Returns a × b ÷ divisor, rounded down, and the remainder. A quotient of at least 2^52, 142 years in microseconds, is
-- infinite.
local function mul_div_rem(a, b, divisor)
  local rough = a * b
  local quotient = floor(rough / divisor)
  if rough < LIMB then
    return quotient, rough - quotient * divisor
  end
  if quotient >= LIMB then
    return math.huge, 0
  end
  -- The quotient was rounded twice, and is off by a few at most. The remainder is exact, and corrects it.
  local high, low = product(a, b)
  local high_of_quotient, low_of_quotient = product(quotient, divisor)
  local rest = (high - high_of_quotient) * LIMB + (low - low_of_quotient)
  while rest < 0 do
    quotient, rest = quotient - 1, rest + divisor
  end
  while rest >= divisor do
    quotient, rest = quotient + 1, rest - divisor
  end
  return quotient, rest
end
