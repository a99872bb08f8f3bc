-- Makes the ranking of all themes since some day from those of the days.
--
-- KEYS: the mark, the ranking, which day it begins with, then the themes of each of the days.
-- ARGV: the mark's store, the day's number, seconds that both are kept, how many members all
--   days may have together.
-- Answers 1, or 0 when that would be more.
local mark = redis.call('get', KEYS[1])
if not mark or string.match(mark, '^([^:]*):[^:]*:%d+$') ~= ARGV[1] then return 0 end
local members = 0
for place = 4, #KEYS do members = members + redis.call('zcard', KEYS[place]) end
if members > tonumber(ARGV[4]) then return 0 end
redis.call('del', KEYS[2])
redis.call('zunionstore', KEYS[2], #KEYS - 3, unpack(KEYS, 4))
-- Days without any themes make no ranking, and this one is there all the same.
redis.call('zincrby', KEYS[2], 0, '')
redis.call('set', KEYS[3], ARGV[2], 'ex', ARGV[3])
redis.call('expire', KEYS[2], ARGV[3])
return 1
