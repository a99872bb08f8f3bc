-- Begins a rebuild: deletes keys and notes which process rebuilds.
--
-- KEYS: the token, then all keys that are deleted. ARGV: the process's token, seconds that it is kept.
redis.call('unlink', unpack(KEYS, 2))
redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
return 1
