-- The status of each server, and what the user has turned off.
local M = {}
local NAME = 'tinycopilot'

M.is_paused = false -- whether the user has paused all servers
M.paused_until = nil ---@type integer? when the pause ends by itself, in seconds since 1970
local said = {} ---@type table<integer, { state: string, message?: string }> each server's last status, by client id
local training = {} ---@type table<integer, { percentage: integer, message: string }> while training runs, by client id
local stopping = {} ---@type table<integer, true> clients that are being stopped
local off_types = {} ---@type table<string, true> file types without ghost text

--- Redraws the statuslines, and triggers `User TinyCopilotStatus`.
function M.changed(client_id)
  vim.cmd.redrawstatus { bang = true }
  local now = client_id and M.of(client_id) or M.here() or {}
  local data = vim.tbl_extend('force', { client_id = client_id }, now)
  vim.api.nvim_exec_autocmds('User', { pattern = 'TinyCopilotStatus', modeline = false, data = data })
end

function M.on_status(client_id, status)
  said[client_id] = status
  M.changed(client_id)
  local client = vim.lsp.get_client_by_id(client_id)
  if not client then return end
  for buffer in pairs(client.attached_buffers) do
    M.ask_why_silent(client, buffer)
  end
end

function M.on_training(client_id, status)
  training[client_id] = status.state == 'running' and status or nil
  M.changed(client_id)
end

--- Asks the server whether, and why, the buffer gets no suggestions; `M.here` then returns the reason.
function M.ask_why_silent(client, buffer)
  local params = { command = NAME .. '.status', arguments = { vim.uri_from_bufnr(buffer) } }
  client:request('workspace/executeCommand', params, function(_, answer)
    if not vim.api.nvim_buf_is_valid(buffer) then return end
    local why = answer and answer.silentHere or ''
    local before = vim.b[buffer].tinycopilot_silent or ''
    vim.b[buffer].tinycopilot_silent = why
    if why ~= before then M.changed(client.id) end
  end)
end

--- Returns the clients of tinycopilot, or only those of `buffer`.
function M.clients(buffer) return vim.lsp.get_clients { name = NAME, bufnr = buffer } end

--- Returns all clients, including those that are not initialized yet.
function M.started() return vim.lsp.get_clients { name = NAME, _uninitialized = true } end

--- Returns the status of one server.
function M.of(client_id)
  local now = said[client_id] or { state = 'loading' }
  local percentage = nil
  if training[client_id] then
    local progress = training[client_id]
    now, percentage = { state = 'training', message = progress.message }, math.floor(progress.percentage or 0)
  end
  local message = now.message or ''
  if now.state == 'off' and M.paused_until then message = os.date('paused until %H:%M', M.paused_until) end
  return { state = now.state, message = message, percentage = percentage }
end

--- Returns the status in the current buffer; nil if no server is attached.
function M.here()
  local client = M.clients(0)[1]
  if not client then return nil end
  local now = M.of(client.id)
  if now.state ~= 'error' and now.state ~= 'training' and not M.is_on(0) then
    return { state = 'off', message = vim.b.tinycopilot_off and 'in this buffer' or 'in ' .. vim.bo.filetype }
  end
  if now.state ~= 'ready' then return now end
  local why = vim.b.tinycopilot_silent or ''
  if why ~= '' then return { state = 'off', message = why } end
  if vim.lsp.inline_completion then now.message = require(NAME).when() end
  return now
end

--- Whether the `languages` setting includes the file type of a buffer (0: the current one).
function M.has_language(buffer)
  local languages = require(NAME).options.settings.languages
  return require('tinycopilot.options').has_language(languages, vim.bo[buffer].filetype)
end

--- Whether ghost text is on in a buffer (0: the current one).
function M.is_on(buffer)
  local is_off = vim.b[buffer].tinycopilot_off or off_types[vim.bo[buffer].filetype]
  return not is_off and M.has_language(buffer)
end

--- Toggles ghost text in the current buffer; returns whether it is on now.
function M.toggle_buffer()
  vim.b.tinycopilot_off = not vim.b.tinycopilot_off
  return not vim.b.tinycopilot_off
end

--- Toggles ghost text in the current file type; returns whether it is on now.
function M.toggle_filetype()
  local filetype = vim.bo.filetype
  off_types[filetype] = not off_types[filetype] or nil
  return not off_types[filetype]
end

--- Records that the client is being stopped on purpose.
function M.mark_stopping(client_id) stopping[client_id] = true end

--- Removes a client that has exited. Returns whether that was unexpected, and whether it had sent a status.
function M.forget(client_id)
  local is_unexpected, had_started = not stopping[client_id], said[client_id] ~= nil
  said[client_id], training[client_id], stopping[client_id] = nil, nil, nil
  M.changed()
  return is_unexpected, had_started
end

return M
