-- Takes tokens from buckets, from each all or none: the generic cell rate algorithm, which keeps one
-- number, the instant at which the bucket will be full again.
--
-- KEYS: the buckets. ARGV: 1 when the tokens were spent already, so that what is left is taken if
--   there are not enough, or else 0; then for each bucket what it holds when full and gains a minute,
--   and how many are taken.
-- Answers for each bucket 0, or after how many seconds there will be enough; and after how many
-- microseconds it will be full.
local spent = ARGV[1] == '1'
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local answer = {}
for place, held in ipairs(redis.call('mget', unpack(KEYS))) do
  local most, tokens = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
  local each = 60000000 / most
  local full = held and tonumber(held) or now
  -- A clock that was set back must lock no sender out for longer than a minute.
  if full < now then full = now elseif full > now + 60000000 then full = now + 60000000 end
  local then_full = full + tokens * each
  local wait = then_full - most * each - now
  -- Half a microsecond is what numbers of this size lose.
  if wait > 0.5 and not spent then
    answer[#answer + 1] = math.max(1, math.ceil(wait / 1000000))
  else
    if wait > 0.5 then then_full = now + most * each end
    full = then_full
    redis.call('set', KEYS[place], string.format('%.2f', full), 'px', math.ceil((full - now) / 1000) + 1)
    answer[#answer + 1] = 0
  end
  answer[#answer + 1] = math.ceil(full - now)
end
return answer
