-- Appends observations to one partition's stream, unless the same report was the last one accepted
-- for its station and time. (A correction back to an earlier value is a correction too.)
--
-- KEYS: 1 obs stream, 2 stations hash, 3 hash of what spools have handed over, 4 unconfirmed hash,
--       5.. the "seen" hashes that the entries name
-- ARGV: 1 seconds that a "seen" hash lives after its last use
--       2 name of the spool that the entries come from, or empty
--       3 number of stations, then their ids, then the descriptions to register those with that are
--       new; an empty description registers nobody, and the station's entries are refused
--       then per entry: index of its "seen" hash among KEYS, field, values, entry bytes; and of a
--       spool's, its position there, which is greater than those before it and as long
-- Returns one stream ID per entry, an empty string for a report that was seen before, or "-" for one of
-- a station that nobody has registered.
--
-- A spool hands over again what it was not told of. "Seen" knows only the last values of a station's
-- second: of a report and its correction, handed over twice, both would be accepted twice. So of a
-- spool, what lies at or before the last position handed over is passed by.
--
-- A call of a command costs more than what most commands do: each hash is read once and written
-- once, and only XADD, which takes one entry, is called for each.
local spool = ARGV[2]
local width = spool == '' and 4 or 5
local stations = tonumber(ARGV[3])
local known = redis.call('HMGET', KEYS[2], unpack(ARGV, 4, 3 + stations))
local refused = {}
for i = 1, stations do
  local id, description = ARGV[3 + i], ARGV[3 + stations + i]
  if not known[i] and description == '' then
    refused[id] = true
  elseif not known[i] then
    redis.call('HSET', KEYS[2], id, description)
    redis.call('HDEL', KEYS[4], id)
  end
end
local handed_over = spool ~= '' and redis.call('HGET', KEYS[3], spool) or ''
local at = 4 + 2 * stations
local fields, seen, changed = {}, {}, {}
for key = 5, #KEYS do
  fields[key], seen[key], changed[key] = {}, {}, {}
end
for entry = at, #ARGV, width do
  local list = fields[tonumber(ARGV[entry])]
  list[#list + 1] = ARGV[entry + 1]
end
for key = 5, #KEYS do
  local values = redis.call('HMGET', KEYS[key], unpack(fields[key]))
  for i, field in ipairs(fields[key]) do
    seen[key][field] = values[i]
  end
end
local ids = {}
for entry = at, #ARGV, width do
  local key, field, values = tonumber(ARGV[entry]), ARGV[entry + 1], ARGV[entry + 2]
  local again = spool ~= '' and ARGV[entry + 4] <= handed_over
  -- A field is the station's id, an @ and two bytes.
  if refused[string.sub(field, 1, -4)] then
    ids[#ids + 1] = '-'
  elseif again or seen[key][field] == values then
    ids[#ids + 1] = ''
  else
    ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'v', ARGV[entry + 3])
    -- The same field may come again in this very call.
    seen[key][field] = values
    local list = changed[key]
    list[#list + 1] = field
    list[#list + 1] = values
  end
end
for key = 5, #KEYS do
  if #changed[key] > 0 then
    redis.call('HSET', KEYS[key], unpack(changed[key]))
  end
  redis.call('EXPIRE', KEYS[key], ARGV[1])
end
if spool ~= '' and ARGV[#ARGV] > handed_over then
  redis.call('HSET', KEYS[3], spool, ARGV[#ARGV])
end
return ids
