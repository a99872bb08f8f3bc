-- Takes tokens from a bucket, all or none: the generic cell rate algorithm, which keeps one
-- number, the instant at which the bucket will be full again.
--
-- KEYS: the bucket. ARGV: what it holds when full and gains a minute; how many are taken; 1 when
--   they were spent already, so that what is left is taken if there are not enough, or else 0.
-- Answers 0, or after how many seconds there will be enough; and after how many microseconds the
-- bucket will be full.
local most, tokens, spent = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local each = 60000000 / most
local full = tonumber(redis.call('get', KEYS[1])) or now
-- A clock that was set back must not lock anybody out for longer than a minute.
if full < now then full = now elseif full > now + 60000000 then full = now + 60000000 end
local then_full = full + tokens * each
local wait = then_full - most * each - now
-- Half a microsecond is what numbers of this size lose.
if wait > 0.5 then
  if not spent then return {math.max(1, math.ceil(wait / 1000000)), math.ceil(full - now)} end
  then_full = now + most * each
end
redis.call('set', KEYS[1], string.format('%.2f', then_full), 'px', math.ceil((then_full - now) / 1000) + 1)
return {0, math.ceil(then_full - now)}
