"""The API calls about rules (Harbor: policies) and their runs. They are for administrators, the API's default."""
