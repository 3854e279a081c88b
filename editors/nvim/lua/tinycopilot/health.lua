-- :checkhealth tinycopilot
local M = {}

local function check_server(health, program)
  local path = vim.fn.exepath(program)
  if path == '' then
    health.error(('no program `%s`'):format(program), {
      'Install the Python package tinycopilot, and start Neovim where its programs are on the PATH;',
      "or name the program: require('tinycopilot').setup { cmd = { '/full/path/to/tinycopilot-server' } }",
    })
  else
    health.ok(('server: `%s`'):format(path))
  end
end

local function check_client(health, client, status)
  local folder, buffers = client.root_dir or 'no project', vim.tbl_count(client.attached_buffers)
  local line = ('client %d in %s, buffers: %d, state: %s'):format(client.id, folder, buffers, status.state)
  if (status.message or '') ~= '' then line = line .. ': ' .. status.message end
  if status.state == 'error' then
    health.error(line, { 'Mend that, then :TinyCopilot restart.', ':TinyCopilot log shows more.' })
  else
    health.ok(line)
  end
end

function M.check()
  local health = vim.health
  health.start('tinycopilot')

  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 0 then
    return health.error(('Neovim %s: too old'):format(version), { 'Neovim 0.12 is needed, or 0.11 for a popup menu.' })
  elseif vim.lsp.inline_completion then
    health.ok(('Neovim %s: ghost text'):format(version))
  else
    health.warn(('Neovim %s: a popup menu; for ghost text, 0.12 is needed'):format(version))
  end

  local tinycopilot = require('tinycopilot')
  if not tinycopilot.options then
    return health.error('not set up', { "Put require('tinycopilot').setup {} in your configuration." })
  end
  check_server(health, tinycopilot.options.cmd[1])

  local clients = vim.lsp.get_clients { name = 'tinycopilot' }
  if #clients == 0 then
    local filetypes = table.concat(tinycopilot.filetypes() or { 'any' }, ', ')
    health.info('no client: it starts with the first file of type ' .. filetypes)
  end
  for _, client in ipairs(clients) do
    check_client(health, client, tinycopilot.said[client.id] or { state = 'loading' })
  end
end

return M
