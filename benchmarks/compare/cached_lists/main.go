// Command cached_lists is what stands in for Gorse, which could not be fetched: a Go server that recommends as Gorse's
// does, from lists made offline and kept in SQLite, less what the user has acted on by now.
//
//	cached_lists FILE ADDRESS
//
// GET /api/recommend/{user}?n=20 gives the ids as JSON.
package main

import (
	"database/sql"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"

	_ "modernc.org/sqlite"
)

type server struct {
	cached, feedback *sql.Stmt
}

func strings(statement *sql.Stmt, arguments ...any) ([]string, error) {
	rows, err := statement.Query(arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		found = append(found, value)
	}
	return found, rows.Err()
}

func (s *server) recommend(user string, n int) ([]string, error) {
	items, err := strings(s.cached, user)
	if err != nil {
		return nil, err
	}
	seen, err := strings(s.feedback, user)
	if err != nil {
		return nil, err
	}
	left := make(map[string]struct{}, len(seen))
	for _, item := range seen {
		left[item] = struct{}{}
	}
	answer := make([]string, 0, n)
	for _, item := range items {
		if _, known := left[item]; !known && len(answer) < n {
			answer = append(answer, item)
		}
	}
	return answer, nil
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	n, err := strconv.Atoi(request.URL.Query().Get("n"))
	if err != nil {
		n = 10
	}
	items, err := s.recommend(request.PathValue("user"), n)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	writer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(writer).Encode(items); err != nil {
		log.Print(err)
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("cached_lists FILE ADDRESS")
	}
	database, err := sql.Open("sqlite", "file:"+os.Args[1]+"?_pragma=journal_mode(wal)")
	if err != nil {
		log.Fatal(err)
	}
	cached, err := database.Prepare("SELECT item FROM cached WHERE user = ? ORDER BY score DESC")
	if err != nil {
		log.Fatal(err)
	}
	feedback, err := database.Prepare("SELECT item FROM feedback WHERE user = ?")
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /api/recommend/{user}", &server{cached, feedback})
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
