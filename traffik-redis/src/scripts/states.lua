-- Returns the time and the stored value of each key, for strategies without a Lua form.
local answer = { now }
for i, key in ipairs(KEYS) do
  answer[i + 1] = redis.call('GET', key)
end
return answer
