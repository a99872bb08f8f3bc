-- The most frequent members of a ranking: of those who share the last place that is still in,
-- the first by name. In no order.
--
-- KEYS: the mark, the ranking, and which day it begins with if that matters. ARGV: how many, and
--   which day it must be.
-- Answers {mark, minus the sum of all or false when the ranking is not there, name, count, …}.
local most = tonumber(ARGV[1])
local answer = {redis.call('get', KEYS[1]), redis.call('zscore', KEYS[2], '')}
if KEYS[3] and redis.call('get', KEYS[3]) ~= ARGV[2] then answer[2] = false end
if not answer[2] then return answer end
-- Highest first puts ties in the reverse order of names: those of the last place are asked for
-- anew, in the order of their names.
local top = redis.call('zrange', KEYS[2], '+inf', '(0', 'byscore', 'rev', 'limit', 0, most, 'withscores')
if #top == 0 then return answer end
local last, above = top[#top], 0
for place = 1, #top, 2 do
  if top[place + 1] ~= last then
    answer[#answer + 1] = top[place]
    answer[#answer + 1] = top[place + 1]
    above = above + 1
  end
end
for _, name in ipairs(redis.call('zrange', KEYS[2], last, last, 'byscore', 'limit', 0, most - above)) do
  answer[#answer + 1] = name
  answer[#answer + 1] = last
end
return answer
