-- The requests of the benchmark, for wrk: one POST per user in turn, written out once.
-- wrk ... -s predict.lua URL -- UNIT_HEADER USERS BODY_FILE
local requests, turn = {}, 0

function init(args)
  local users = tonumber(args[2])
  local file = assert(io.open(args[3], "rb"))
  local body = file:read("*a")
  file:close()
  for user = 1, users do
    local headers = {["content-type"] = "application/json", [args[1]] = "user-" .. user}
    requests[user] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

-- errors.status counts the answers of 400 and above; there is no cheap way to see the others.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "bad_statuses": %d, "broken": %d, ' ..
    '"p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
