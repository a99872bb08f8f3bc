-- What is asked most often, in one round trip and as of one position.
--
-- KEYS: the mark, the seven keys of a period, and the visitors by last seen when those are
--   asked for. ARGV: from and to of the latter, both as a score of ZCOUNT.
--
-- Answers {mark, how many of the keys exist, five counters, distinct visitors, current visitors};
--   the last -1 when it cannot be told. Missing keys are false.
local answer = {redis.call('get', KEYS[1]), redis.call('exists', unpack(KEYS, 2, 8))}
local counters = redis.call('mget', unpack(KEYS, 2, 6))
for place = 1, 5 do answer[2 + place] = counters[place] end
answer[8] = redis.call('pfcount', KEYS[7])
answer[9] = -1
if KEYS[9] and redis.call('zscore', KEYS[9], '') then
  answer[9] = redis.call('zcount', KEYS[9], ARGV[1], ARGV[2])
end
return answer
