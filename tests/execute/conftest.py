"""What has to be set before Ray is imported: it reads its settings then."""

import os

# A busy machine may be slow to start Ray's control server, and to answer for it.
os.environ.setdefault("RAY_gcs_rpc_server_connect_timeout_s", "60")
os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")
