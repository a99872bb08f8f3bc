-- Applies what a site's events add from one position to another, once.
--
-- KEYS: the site's watermark, its visitors by last seen, its themes of all days, the list of periods
--   that have keys (periods.rs), then for each day its themes if the day is kept, and the six keys
--   (keys.rs) of each of its periods that are.
-- ARGV: store, from, to, the event at to or -, how many were seen and for each when and who, then for
--   each day: for the day, the week and the month the seconds that it still has (0: not kept, no keys)
--   and its member of the list; the member of the day's themes; what is added to each of the five
--   counters, how many visitors and they, how many themes and how often each.
--
-- Answers the position up to which events are applied then, or -1 when the site must be rebuilt.
--
-- Redis does not roll back. The watermark is therefore written first: a server that takes no writes
-- refuses that, and nothing has changed. A failure later deletes the watermark.
local MOST_THEMES, OTHER = 10000, '(other)'
local store, from, to = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local mark = redis.pcall('get', KEYS[1])
local owner, at = string.match(type(mark) == 'string' and mark or '', '^([^:]*):[^:]*:(%d+)$')
if owner ~= store then return -1 end
if tonumber(at) ~= from then return tonumber(at) end
redis.call('set', KEYS[1], store .. ':' .. ARGV[4] .. ':' .. ARGV[3])

local function count_theme(ranking, theme, n)
  if redis.call('zcard', ranking) >= MOST_THEMES and not redis.call('zscore', ranking, theme) then theme = OTHER end
  redis.call('zincrby', ranking, n, theme)
end

-- Keys that are missing although the list has them were evicted or deleted.
local function is_new(member, there, seconds)
  local listed = redis.call('zscore', KEYS[4], member)
  if there == 0 and listed then error('a period has lost its keys', 0) end
  if not listed then redis.call('zadd', KEYS[4], redis.call('time')[1] + seconds, member) end
  return there == 0
end

local function apply()
  local next_key, next_arg = 5, 5
  local function key() next_key = next_key + 1; return KEYS[next_key - 1] end
  local function arg() next_arg = next_arg + 1; return ARGV[next_arg - 1] end

  if not redis.call('zscore', KEYS[4], '-') then error('the list of periods is lost', 0) end
  for _ = 1, tonumber(arg()) do
    local seen, who = arg(), arg()
    redis.call('zadd', KEYS[2], 'gt', seen, who)
  end

  while next_arg <= #ARGV do
    local lives, members = {}, {}
    for place = 1, 3 do lives[place], members[place] = tonumber(arg()), arg() end
    local themes_member = arg()
    local day_themes = lives[1] > 0 and key()
    local periods = {}
    for period, seconds in ipairs(lives) do
      if seconds > 0 then
        local keys = {}
        for place = 1, 6 do keys[place] = key() end
        local there = redis.call('exists', unpack(keys))
        if is_new(members[period], there, seconds) then
          for place = 1, 5 do redis.call('set', keys[place], 0, 'ex', seconds) end
          redis.call('pfadd', keys[6])
          redis.call('expire', keys[6], seconds)
        elseif there < 6 then
          error('a period has lost keys', 0)
        end
        periods[#periods + 1] = keys
      end
    end
    for place = 1, 5 do
      local n = arg()
      if n ~= '0' then for _, keys in ipairs(periods) do redis.call('incrby', keys[place], n) end end
    end
    for _ = 1, tonumber(arg()) do
      local who = arg()
      for _, keys in ipairs(periods) do redis.call('pfadd', keys[6], who) end
    end
    local themes = tonumber(arg())
    if day_themes and themes > 0 then is_new(themes_member, redis.call('exists', day_themes), lives[1]) end
    for _ = 1, themes do
      local theme, n = arg(), arg()
      if day_themes then
        count_theme(day_themes, theme, n)
        count_theme(KEYS[3], theme, n)
        redis.call('expire', day_themes, lives[1])
      end
    end
  end
end

if pcall(apply) then return to end
redis.call('del', KEYS[1])
return -1
