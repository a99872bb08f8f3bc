-- Begins a rebuild: takes keys away and says whose the rebuild is.
--
-- KEYS: the token, the mark, then whatever else goes. ARGV: who rebuilds, for how many seconds.
redis.call('unlink', unpack(KEYS, 2))
redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
return 1
