"""What an admin can choose without touching code: of the backend, the server and the analytics."""
